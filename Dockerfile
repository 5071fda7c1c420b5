# The console's image. Build it with `docker build -t windlass .`, then use `compose.yaml`, or run all parts in one container:
# `docker run --read-only --tmpfs /tmp -v windlass:/data -v /var/run/docker.sock:/var/run/docker.sock --group-add <gid> windlass`.
# It runs as user 10001 and writes only to /data and /tmp.

ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# Install only wheels, each with its pinned hash. Nothing is compiled, here or later.
COPY requirements.txt /app/
RUN python3 -m venv /opt/windlass \
    && /opt/windlass/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r /app/requirements.txt
COPY manage.py /app/
COPY clusters /app/clusters
COPY triggers /app/triggers
COPY console /app/console
COPY templates /app/templates
COPY docs /app/docs
# The settings create keys; here they are in a temporary folder.
RUN WINDLASS_DATA_DIR=/tmp/build WINDLASS_STATIC_DIR=/app/static \
    /opt/windlass/bin/python /app/manage.py collectstatic --no-input --verbosity 0 --ignore rest_framework --ignore redoc \
    && find /app \( -name tests -o -name fakes -o -name conftest.py \) -prune -exec rm -rf {} + \
    && /opt/windlass/bin/python -m compileall -q /app \
    && /opt/windlass/bin/python -m pip uninstall --yes --quiet pip setuptools \
    && rm -rf /tmp/build

FROM ${BASE}
# openssh-client connects to engines at ssh:// addresses.
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-client \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && groupadd --gid 10001 windlass \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin windlass \
    && install -d -m 0700 -o windlass -g windlass /data
COPY --from=build /opt/windlass /opt/windlass
COPY --from=build /app /app
ENV PATH=/opt/windlass/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    WINDLASS_DATA_DIR=/data \
    WINDLASS_STATIC_DIR=/app/static \
    WINDLASS_HOST=0.0.0.0 \
    WINDLASS_SAMPLE=0
USER 10001:10001
WORKDIR /app
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-m", "console.telemetry.probe"]
ENTRYPOINT ["python3", "/app/manage.py"]
CMD ["up"]
