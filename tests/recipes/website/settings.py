"""The few settings that this site needs; yours has more."""

import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "website.urls"
DATA_UPLOAD_MAX_MEMORY_SIZE = 20_000_000  # bytes of a posted list
