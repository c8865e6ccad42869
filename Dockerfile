# The official runtime image: torch, CUDA and cuDNN of one build, where nvidia/cuda with pip's torch holds CUDA twice.
# CUDA 13.0 needs NVIDIA driver 580 or newer; for an older one: 2.13.0-cuda12.6-cudnn9-runtime.
ARG TORCH_TAG=2.13.0-cuda13.0-cudnn9-runtime
FROM pytorch/pytorch:${TORCH_TAG}

# run.sh starts the container under the caller's user id, which has no entry in passwd: home must be writable for all,
# and USER answers where a library asks for a name.
ENV HOME=/home/simcsp \
    USER=simcsp \
    PATH=/opt/venv/bin:$PATH \
    PYTHON=/opt/venv/bin/python \
    PYTHONUNBUFFERED=1 \
    SIMCSP_CONTAINER=1
RUN useradd --uid 10001 --home-dir "$HOME" --create-home simcsp && chmod 1777 "$HOME"

# A virtual environment over the image's packages: its torch is used, and nothing of the system is replaced. The
# sources are still empty here, so that this layer lasts until a dependency changes. EXTRAS is "[test,notebooks]" in
# .devcontainer.
ARG EXTRAS=
WORKDIR /workspace
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv --system-site-packages --without-pip /opt/venv \
    && mkdir -p src/simcsp && touch src/simcsp/__init__.py README.md LICENSE \
    && python -c 'import torch; print(f"torch=={torch.__version__}")' > /tmp/torch.txt \
    && python -m pip install --no-cache-dir --constraint constraints.txt --constraint /tmp/torch.txt --editable ".${EXTRAS}" \
    && mkdir data runs && chmod 1777 data runs

COPY . .
USER 10001
EXPOSE 6006
CMD ["bash", "run.sh", "tensorboard"]
