"""The addresses of the site."""

from django.urls import path
from website import views

urlpatterns = [path("status", views.status), path("check", views.check), path("health", views.health)]
