"""Imported once by the process that workers are forked from: what each of them would read and compile again."""

from petition.core import i18n, mail_texts, resources
from petition.core.templates import Renderer
from petition.web.desk import mail_samples
from tests import caches

BASE_URL = "http://localhost:8000"

caches.keep()
renderer = Renderer(i18n.load(resources.folder("locales")), BASE_URL, None)
for lang in renderer.languages:
    mail_texts.render(renderer, "update", lang, mail_samples.context(lang, BASE_URL, tuple(renderer.languages)))
