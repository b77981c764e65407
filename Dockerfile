# The service as an image: `docker build -t reservation-api .`
#
#   docker run -p 8080:8080 -v reservations:/data reservation-api              # `serve`
#   docker run -v reservations:/data reservation-api worker                    # beside it
#
# A release gives the base by its digest, and what it runs on: --build-arg BASE=python@sha256:… --platform linux/arm64
ARG BASE=python:3.13-slim-bookworm

# checkov:skip=CKV_DOCKER_7:BASE has a version, or a digest.
FROM ${BASE} AS build

# What make takes too, so that one lock file is read by one uv. In /data the embedded runtime keeps its file; the AWS
# runtime writes nothing.
RUN pip install --no-cache-dir uv==0.13.9 \
 && mkdir /data

# Compiled here: at run time the file system may be read-only.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/reservation-api \
    UV_PYTHON_DOWNLOADS=never

WORKDIR /source

# Dependencies have a layer of their own, which changes with the lock file alone.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --no-install-project

COPY README.md ./
COPY src ./src
RUN uv sync --frozen --no-default-groups --no-editable

FROM ${BASE}

ENV PATH=/opt/reservation-api/bin:${PATH} \
    APP_DATA_DIR=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY --from=build /opt/reservation-api /opt/reservation-api
COPY --from=build --chown=65532:65532 /data /data

# Nobody's: no name, no home, no shell. By number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080

# As a list: the process itself is what SIGTERM reaches.
#
# checkov:skip=CKV_DOCKER_2:Workers would fail a HEALTHCHECK; orchestrators ask /actuator/health of those that serve.
ENTRYPOINT ["reservation-api"]
CMD ["serve"]
