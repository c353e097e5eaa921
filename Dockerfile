# `docker build --tag voxforge .` One image for everything: what a container does is its command (compose.yml).
# `--build-arg DEBIAN_PACKAGES=espeak-ng` makes the recordings of sandbox calls speak; without it they have tones.

FROM python:3.11-slim-bookworm AS build

ENV UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build

# uv comes from the lock like everything else. It takes the hashes from there too, and refuses what has none, so that
# the final environment holds what pyproject.toml asks for and what that brings, and not the tools of this stage.
COPY pyproject.toml requirements.lock ./
RUN python -m venv /tools \
    && sed -n '/^uv==/,/[^\\]$/p' requirements.lock > /tools/uv.lock \
    && /tools/bin/pip install --no-cache-dir --require-hashes --requirement /tools/uv.lock
RUN /tools/bin/uv pip install --python /tools \
        --require-hashes --constraint requirements.lock --group build \
    && /tools/bin/uv venv /opt/voxforge \
    && /tools/bin/uv pip install --python /opt/voxforge --compile-bytecode \
        --require-hashes --constraint requirements.lock --requirement pyproject.toml

# What changes often comes last. app/static, if scripts/run has built it, comes with app.
COPY LICENSE ./
COPY app app
COPY schema schema
COPY workers workers
RUN /tools/bin/hatchling build --target wheel \
    && /tools/bin/uv pip install --python /opt/voxforge --compile-bytecode --no-deps --no-index dist/*.whl


FROM python:3.11-slim-bookworm

ARG DEBIAN_PACKAGES=""
# Without versions: Debian keeps one of each package, and takes the old one away.
# hadolint ignore=DL3008
RUN if [ -n "$DEBIAN_PACKAGES" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends $DEBIAN_PACKAGES \
        && rm -rf /var/lib/apt/lists/*; \
    fi
# Nothing in the image installs or builds; the server is nobody else's user, and may write to its data alone.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore wheel setuptools pip \
    && groupadd --gid 10001 voxforge \
    && useradd --uid 10001 --gid voxforge --no-log-init --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin voxforge \
    && install --directory --owner=voxforge --group=voxforge --mode=0700 /data

COPY --from=build /opt/voxforge /opt/voxforge

ENV PATH=/opt/voxforge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VOXFORGE_DATA=/data \
    VOXFORGE_HOST=0.0.0.0 \
    VOXFORGE_PORT=8000
USER 10001:10001
WORKDIR /opt/voxforge
VOLUME /data
EXPOSE 8000

# For a container that serves; `voxforge work` listens nowhere, so its container says `healthcheck: disable`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, http.client as http; server = http.HTTPConnection('127.0.0.1', int(os.environ['VOXFORGE_PORT']), timeout=4); server.request('GET', '/readyz'); raise SystemExit(server.getresponse().status != 200)"]

# No shell in between: SIGTERM reaches voxforge, which is gone within 15 seconds (docker stop --time 15).
ENTRYPOINT ["voxforge"]
CMD ["up"]
