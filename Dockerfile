# Built on a machine that reaches a package index; what comes out needs no network.
# The classic builder suffices: no RUN --mount.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/lineside
WORKDIR /build
# Dependencies first: they change rarely and weigh 99 % of the image.
COPY requirements.lock ./
RUN /opt/lineside/bin/pip install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN /opt/lineside/bin/pip install --quiet --no-deps .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/lineside /opt/lineside
# Numbers, not names: Kubernetes' runAsNonRoot can check only these.
USER 10001:10001
WORKDIR /tmp
ENV PATH=/opt/lineside/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINESIDE_HOST=0.0.0.0 \
    LINESIDE_MODEL_REPOSITORY=/models
EXPOSE 8000
VOLUME /models
# Ready means: may drive the gate. Loading several large models may take a minute.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('LINESIDE_PORT', '8000')}/readyz\", timeout=2)"]
ENTRYPOINT ["lineside"]
CMD ["serve"]
