"""`python -m service` and `cart-fhir`."""

import gc

gc.disable()  # nothing that is imported is garbage, and looking for it takes an eighth of the start
from service.cli import main  # noqa: E402

gc.freeze()  # else the first look afterwards is at all of it
gc.enable()

if __name__ == "__main__":
    main()
