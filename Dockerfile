# Built on a machine that reaches a package index; what comes out needs no network.
# The classic builder suffices: no RUN --mount.

# Dependencies: they change rarely and weigh 99 % of the image.
FROM python:3.11-slim-bookworm AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock /
RUN python -m venv /opt/lineside \
    && /opt/lineside/bin/pip install --quiet --require-hashes -r /requirements.lock \
    && /opt/lineside/bin/pip uninstall --quiet --yes pip

# Lineside itself, in a layer of its own, so that an update moves kilobytes.
FROM python:3.11-slim-bookworm AS lineside
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN python -m venv /opt/lineside \
    && /opt/lineside/bin/pip install --quiet --no-deps . \
    && /opt/lineside/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim-bookworm
ENV PATH=/opt/lineside/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINESIDE_HOST=0.0.0.0 \
    LINESIDE_MODEL_REPOSITORY=/models
WORKDIR /tmp
EXPOSE 8000
VOLUME /models
# Ready means: may drive the gate. Loading several large models may take a minute.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('LINESIDE_PORT', '8000')}/readyz\", timeout=2)"]
ENTRYPOINT ["lineside"]
CMD ["serve"]
# Numbers, not names: Kubernetes' runAsNonRoot can check only these.
USER 10001:10001
COPY --from=dependencies /opt/lineside /opt/lineside
COPY --from=lineside /opt/lineside /opt/lineside
