"""What invented names are made of: how each part is shown, and how it is spelt in an e-mail address."""

from __future__ import annotations

__all__ = ["FIRST_NAMES", "JOBS", "LAST_NAMES", "MESSAGES", "PLACES", "REMARKS", "SCHOOLS", "TAGS", "TOPICS", "UNITS"]

FIRST_NAMES = (
    ("Ada", "ada"), ("Zoë", "zoe"), ("Björn", "bjoern"), ("Clara", "clara"), ("David", "david"),
    ("Emil", "emil"), ("Fatma", "fatma"), ("Grace", "grace"), ("Håkon", "haakon"), ("Ines", "ines"),
    ("Jonas", "jonas"), ("Karim", "karim"), ("Łukasz", "lukasz"), ("Miriam", "miriam"), ("Noel", "noel"),
    ("Oskar", "oskar"), ("Petra", "petra"), ("Quentin", "quentin"), ("Rita", "rita"), ("Søren", "soeren"),
    ("Tariq", "tariq"), ("Ursula", "ursula"), ("Victor", "victor"), ("Wanda", "wanda"), ("Xenia", "xenia"),
    ("Yusuf", "yusuf"), ("Željko", "zeljko"), ("Ирина", "irina"), ("Νίκος", "nikos"), ("美咲", "misaki"),
    ("小龍", "xiaolong"), ("Amara", "amara"),
)  # fmt: skip

LAST_NAMES = (
    ("Adler", "adler"), ("Archer", "archer"), ("Baker", "baker"), ("Çelik", "celik"),
    ("D'Amico", "d'amico"), ("Duarte", "duarte"), ("Esposito", "esposito"), ("Fischer", "fischer"),
    ("Großmann", "grossmann"), ("Hale", "hale"), ("Ibsen", "ibsen"), ("Jansen", "jansen"),
    ("Keller", "keller"), ("Lindqvist", "lindqvist"), ("Müller", "mueller"), ("Nguyễn", "nguyen"),
    ("O'Hara", "o'hara"), ("Østby", "oestby"), ("Petrov", "petrov"), ("Quist", "quist"),
    ("Ribeiro", "ribeiro"), ("Sommer", "sommer"), ("Tanaka", "tanaka"), ("Underwood", "underwood"),
    ("Visser", "visser"), ("Wójcik", "wojcik"), ("Xu", "xu"), ("Young-Lee", "young-lee"),
    ("Zeller", "zeller"), ("Соколова", "sokolova"), ("Παππάς", "pappas"), ("佐藤", "sato"),
)  # fmt: skip

REMARKS = ("", "", "", "", "", " (R&D)", " <Einkauf>", ' "Nic"')
"""What some add to their display names; markup has to survive it."""

MESSAGES = (
    "",
    "Please add me to your colleagues.",
    "<p>Shall we stay in touch after the <b>R&amp;D</b> meeting?</p>",
    "Grüße aus Zürich – wir haben uns am Stand getroffen.",
)
"""Invitations as people write them; ``content`` is of type html."""

JOBS = (
    "Engineer",
    "Project Manager",
    "Sales Executive",
    "Researcher",
    "Designer",
    "Support Specialist",
    "Lawyer",
    "Buyer",
)
UNITS = ("Research & Development", "Sales", "Legal", "Einkauf", "Support", "Design", "Operations", "Finance")
PLACES = (
    ("Zürich", "Switzerland"), ("Graz", "Austria"), ("Lyon", "France"), ("Kraków", "Poland"),
    ("Austin", "United States"), ("Osaka", "Japan"), ("Porto", "Portugal"), ("Århus", "Denmark"),
)  # fmt: skip
SCHOOLS = ("Hillside College", "Technische Hochschule", "École du Lac", "Riverside University")
TAGS = ("atom", "python", "sailing", "chess", "mentoring", "solar", "gardening", "history")

TOPICS = (
    "Atom Readers", "Bicycle Commuters", "Café & Kuchen", "Data <Quality>", "Early Birds", "Facility News",
    "Green Roofs", "Hiking", "Ideas Wanted", "Jazz Band", "Küchenteam", "Lunch Talks",
)  # fmt: skip
"""What communities are about."""
