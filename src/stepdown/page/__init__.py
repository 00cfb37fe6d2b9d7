"""The page on which people try a model, whoever answers it: a server, or the tab itself.

    page.html, page.css     what is there, and how it looks
    page.js                 pieces that the others share
    kinds.js                the one place that knows the kinds of task
    one.js, words.js        one text as it is typed, and the words that mattered
    many.js                 many texts as a table and as CSV
    card.js                 the model's card
    start.js                fits the page to the model; comes last
    build                   puts them together, with a backend, as one file

A backend defines `ask(path, body, signal)`, which is asked what `POST /predict` and `POST /explain`, and `GET /model`,
of `stepdown serve` are asked. It resolves to `{said, time}`: what these answer, and the milliseconds that the model
took (null if it is not known). What it rejects with has a message for people.
"""

from stepdown.page.build import Backend, Page, build, title

__all__ = ["Backend", "Page", "build", "title"]
