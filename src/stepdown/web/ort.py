"""onnxruntime-web: what runs networks in a browser, taken as it is from a release of its package.

Of the builds in a release, the one for processors alone is the smallest; and of the releases that read what
docs/bundle.md allows (opset 21), this one is small, quick to start, and quiet: 11.2 MB, 2.9 MB as servers compress it.
Later ones are larger (1.30.0: 14.2 MB) and no faster (LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepdown.assets import archives, npm

RELEASE = npm.Release(
    package="onnxruntime-web",
    version="1.22.0",
    sha256="e293551f9d36d003e293d0f2937fee7b3dfdcef76d71d1449b55e2d4157c7aea",
    integrity="sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg==",
    size=20_387_966,
)
LICENCE = "MIT"

# File in the folder → member of the archive. Some servers know .js alone for JavaScript.
MEMBERS = {
    "ort.wasm.min.js": "package/dist/ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.js": "package/dist/ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
_LARGEST = 20_000_000

_MIT = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def files(progress: Callable[[int, int], None] | None = None) -> dict[str, bytes]:
    """The files that a page needs, by name.

    Args:
        progress: called with (bytes done, bytes in all) while the release is downloaded, the first time.

    Raises:
        HubError: it is not in the cache and cannot be fetched.
        StoreError: the cache cannot be written.
    """
    archive: Path = npm.fetch(RELEASE, progress)
    found = {name: archives.read(archive, member, _LARGEST) for name, member in MEMBERS.items()}
    return {**found, "LICENSE": _MIT.encode()}
