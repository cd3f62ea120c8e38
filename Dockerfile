# One image for each kind of process:
#   docker build --target web -t pagefan-web .        the web server, beat and Flower; no model library
#   docker build --target cpu -t pagefan-cpu .        CPU workers, and GPU workers of the ocr and echo engines
#   docker build --target gpu -t pagefan-gpu .        GPU workers with torch and its CUDA libraries
#   docker build --target vllm -t pagefan-vllm .      GPU workers of the vllm engine, on vLLM's own image
# All run as uid 10001 and write to /data, /hub (models), /cache (kernels) and /tmp only, so the root file system can be
# read-only.

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS base
ENV DATA_DIR=/data \
    HF_HOME=/hub \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /tmp pagefan \
    && install -d -m 0700 -o pagefan -g pagefan /data /hub
WORKDIR /app
COPY LICENSE README.md pyproject.toml requirements.lock ./
COPY server server
COPY pagefan pagefan
COPY web web
COPY tasks tasks
COPY workers workers
ENTRYPOINT ["tini", "--"]
VOLUME /data /hub

FROM base AS web
RUN pip install --constraint requirements.lock . ./server
USER pagefan
ENV WEB_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${WEB_PORT:-8000}/healthz', timeout=4)"
CMD ["sh", "-c", "exec gunicorn --worker-class web.stack.server.DeadlineWorker --workers 1 --threads ${WEB_THREADS:-640} --bind ${WEB_HOST:-127.0.0.1}:${WEB_PORT:-8000} --graceful-timeout 5 --no-control-socket \"web.app:create_app()\""]

FROM base AS cpu
# The vlm engine prepares pages with its model's processor: build with --build-arg EXTRAS=ocr,vlm for it.
ARG EXTRAS=ocr
# The tesseract engine, and OCR_HELPER, need Debian's packages: --build-arg PACKAGES="tesseract-ocr tesseract-ocr-deu".
ARG PACKAGES=
RUN if [ -n "${PACKAGES}" ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends ${PACKAGES} \
        && rm -rf /var/lib/apt/lists/*; \
    fi
RUN pip install --constraint requirements.lock . "./server[${EXTRAS}]"
USER pagefan
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
    CMD celery -A tasks.app inspect ping --timeout 10 --destination "cpu@$(hostname)"
CMD ["sh", "-c", "exec celery -A tasks.app worker --without-mingle --without-gossip --queues cpu --pool threads --concurrency ${CPU_CONCURRENCY:-6} --hostname ${PROCESS_NAME:-cpu}@%h"]

FROM base AS gpu
# Steps are recorded as CUDA graphs, which needs no compiler; the kernels of quantised checkpoints and of mixtures of
# experts are Triton's, which compiles them at their first use, to a folder that must allow programs.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 0700 -o pagefan -g pagefan /cache
ENV PYTORCH_ALLOC_CONF=expandable_segments:True \
    PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    TRITON_CACHE_DIR=/cache/triton
VOLUME /cache
ARG TORCH=torch==2.13.0
RUN pip install --constraint requirements.lock "${TORCH}"
RUN pip install --constraint requirements.lock . "./server[ocr,vlm]"
USER pagefan
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all
HEALTHCHECK --interval=60s --timeout=20s --start-period=600s --retries=3 \
    CMD celery -A tasks.app inspect ping --timeout 10 --destination "gpu@$(hostname)"
CMD ["sh", "-c", "exec celery -A tasks.app worker --without-mingle --without-gossip --queues gpu --pool prefork --concurrency 1 --hostname ${PROCESS_NAME:-gpu}@%h"]

# vLLM pins torch and transformers of its own, so this stage is built on its image, and no extra of Pagefan brings vLLM.
FROM vllm/vllm-openai:v0.33.0 AS vllm
ENV DATA_DIR=/data \
    HF_HOME=/hub \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    TRITON_CACHE_DIR=/cache/triton \
    VLLM_CACHE_ROOT=/cache/vllm \
    VLLM_WORKER_MULTIPROC_METHOD=spawn
RUN useradd --uid 10001 --no-create-home --home-dir /tmp pagefan \
    && install -d -m 0700 -o pagefan -g pagefan /data /hub /cache
WORKDIR /app
COPY LICENSE README.md pyproject.toml ./
COPY server server
COPY pagefan pagefan
COPY web web
COPY tasks tasks
COPY workers workers
RUN python3 -m pip install --no-cache-dir . ./server
USER pagefan
VOLUME ["/data", "/hub", "/cache"]
ENV ENGINE=vllm
ENTRYPOINT []
CMD ["sh", "-c", "exec celery -A tasks.app worker --without-mingle --without-gossip --queues gpu --pool prefork --concurrency 1 --hostname ${PROCESS_NAME:-gpu}@%h"]
