# The worker. What it calls and where it stores comes from the environment: see .env.example.
FROM python:3.11-slim

RUN useradd --create-home tapestream && install -d -o tapestream /data
WORKDIR /app

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY connectors connectors
COPY streams streams
COPY agents agents
COPY infra infra
COPY sandbox sandbox
RUN pip install --no-cache-dir --constraint constraints.txt ".[sandbox]"

USER tapestream
ENV DATA_DIR=/data PYTHONUNBUFFERED=1
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["python", "-m", "infra.healthcheck"]
CMD ["tapestream", "worker"]
