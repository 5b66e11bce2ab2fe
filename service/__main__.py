"""`python -m service` is `cart-fhir`."""

from service.cli import main

if __name__ == "__main__":
    main()
