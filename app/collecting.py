"""Python's garbage collector, kept from what a process has loaded for good."""

import gc


def spare_loaded() -> None:
    """Have the collector pass over everything there is now: call it once, when the process is ready to work.

    A full pass walks over every object, those of modules and of the schema included, while nobody is answered and no
    webhook leaves: 100 ms and more, at intervals that come closer when there is much to do.
    """
    gc.collect()
    gc.freeze()
