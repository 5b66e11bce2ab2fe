# The service as one image: the wheel with its data, the locked dependencies, no compiler, no root.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/cart-fhir && /opt/cart-fhir/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md alembic.ini ./
COPY service service
COPY mappings mappings
COPY fhir_profiles fhir_profiles
COPY alembic alembic
RUN /opt/cart-fhir/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation -w /wheels . \
    && /opt/cart-fhir/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /var/lib/cart-fhir cart-fhir
COPY --from=build /opt/cart-fhir /opt/cart-fhir
ENV PATH=/opt/cart-fhir/bin:$PATH CART_FHIR_DATA_DIR=/var/lib/cart-fhir CART_FHIR_HOST=0.0.0.0
USER cart-fhir
VOLUME /var/lib/cart-fhir
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=3)"]
CMD ["sh", "-c", "cart-fhir migrate && exec cart-fhir serve"]
