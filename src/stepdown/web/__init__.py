"""Writes a bundle as a folder for the web: the page of `stepdown serve`, with the model running in the tab.

    engine/     JavaScript that reads bundles as docs/bundle.md says and answers as a server does: ES modules, used as
                they are
    tab.js      the page's backend, which asks the engine in a worker
    front       the page with that backend
    ort         onnxruntime-web: which release, and which files of it
    folder      all of it together

Left out, and why. The tokenizer kind `huggingface`: it is whatever the library tokenizers can do, of which there is no
second implementation here. Threads: browsers give them to pages alone that are sent with certain headers (COOP, COEP),
which plain file servers do not send. WebGPU: its build of onnxruntime-web is twice as large.
"""

from stepdown.web.folder import export, is_run

__all__ = ["export", "is_run"]
