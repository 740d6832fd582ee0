# Built on a machine that reaches a package index; what comes out needs no network.
# The classic builder suffices: no RUN --mount.
#
#   docker build -t lineside:0.1.0 .                            everything, on the CPU or an NVIDIA GPU
#   docker build --target edge -t lineside:0.1.0-edge .         serves exported bundles on the CPU, without torch

# Dependencies: they change rarely and weigh 99 % of the image.
FROM python:3.11-slim-bookworm AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock /
RUN python -m venv /opt/lineside \
    && /opt/lineside/bin/pip install --quiet --require-hashes -r /requirements.lock \
    && /opt/lineside/bin/pip uninstall --quiet --yes pip

# The same without torch, and of OpenVINO only what reads our graphs and runs them on a CPU.
FROM python:3.11-slim-bookworm AS edge-dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-edge.lock /
RUN python -m venv /opt/lineside \
    && /opt/lineside/bin/pip install --quiet --no-compile --require-hashes -r /requirements-edge.lock \
    && /opt/lineside/bin/pip uninstall --quiet --yes openvino-telemetry setuptools pip \
    && cd /opt/lineside/lib/python3.11/site-packages/openvino/libs \
    && rm -f cache.json libopenvino_intel_gpu_plugin.so libopenvino_intel_npu_plugin.so \
             libopenvino_gguf_frontend.so.* libopenvino_jax_frontend.so.* libopenvino_onnx_frontend.so.* \
             libopenvino_paddle_frontend.so.* libopenvino_pytorch_frontend.so.* \
             libopenvino_tensorflow_frontend.so.* libopenvino_tensorflow_lite_frontend.so.*

# Lineside itself, in a layer of its own, so that an update moves kilobytes.
FROM python:3.11-slim-bookworm AS lineside
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN python -m venv /opt/lineside \
    && /opt/lineside/bin/pip install --quiet --no-deps . \
    && /opt/lineside/bin/pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/lineside/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LINESIDE_HOST=0.0.0.0 \
    LINESIDE_MODEL_REPOSITORY=/models \
    XDG_CACHE_HOME=/cache
# A new volume here belongs to the server; without one, nothing is kept and it converts at every start.
RUN mkdir /cache && chown 10001:10001 /cache
WORKDIR /tmp
EXPOSE 8000
VOLUME /models
# Ready means: may drive the gate. Loading several large models may take a minute.
# bash itself speaks TCP: no proxy of Docker's client stands between, and it costs 2 ms of CPU where Python takes 90.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${LINESIDE_PORT:-8000} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 2 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["lineside"]
CMD ["serve"]
# Numbers, not names: Kubernetes' runAsNonRoot can check only these.
USER 10001:10001

FROM runtime AS edge
COPY --from=edge-dependencies /opt/lineside /opt/lineside
COPY --from=lineside /opt/lineside /opt/lineside

FROM runtime
COPY --from=dependencies /opt/lineside /opt/lineside
COPY --from=lineside /opt/lineside /opt/lineside
