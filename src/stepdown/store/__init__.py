"""Where things are on disk, and how they get there whole.

Everything is written beside its place, flushed to the disk, and moved in with one rename, so a reader sees
the old content or the new one and never half of it, whatever kills the writer. A folder is complete when its
`manifest.json`, written last, is there. Damage that comes later is noticed by digests, and what was cached is
then simply made again. Every failure of the disk is told as a `StoreError` that names the path and what to
do.

    places     the cache, free space, the system's errors in the user's words
    files      whole files and whole folders
    locks      one holder at a time
    digests    what something was made from
    arrays     arrays that notice damage
    manifests  folders that know whether they are complete
    scratch    files without a name, for what does not fit in memory
    lookup     rows of numbers that are found by a text
"""

from stepdown.store.arrays import load_array, save_array
from stepdown.store.digests import digest, file_digest
from stepdown.store.files import (
    append,
    read_json,
    sweep,
    write_bytes,
    write_file,
    write_folder,
    write_json,
    write_text,
)
from stepdown.store.locks import lock
from stepdown.store.lookup import Lookup
from stepdown.store.manifests import MANIFEST, finish, finished
from stepdown.store.places import cache_dir, disk_errors, disk_failures, free_bytes
from stepdown.store.scratch import Scratch

__all__ = [
    "MANIFEST",
    "Lookup",
    "Scratch",
    "append",
    "cache_dir",
    "digest",
    "disk_errors",
    "disk_failures",
    "file_digest",
    "finish",
    "finished",
    "free_bytes",
    "load_array",
    "lock",
    "read_json",
    "save_array",
    "sweep",
    "write_bytes",
    "write_file",
    "write_folder",
    "write_json",
    "write_text",
]
