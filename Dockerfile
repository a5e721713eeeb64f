# The REST service with its models inside: docker build -t facewitness .
#
#   docker run --rm -v facewitness:/data facewitness serve keys add newsroom
#   docker run --read-only --tmpfs /tmp -v facewitness:/data -p 8000:8000 facewitness
#
# It runs as nobody, on a root that may be read-only: what it writes goes to /data and /tmp.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /facewitness && /facewitness/bin/pip install '.[postgres,video,pdf,heic,documents,c2pa]'
ENV FACEWITNESS_CACHE=/facewitness/models
RUN /facewitness/bin/facewitness fetch && chmod -R a+rX /facewitness

FROM python:3.11-slim
COPY --from=build /facewitness /facewitness
RUN install -d -m 700 -o nobody -g nogroup /data
ENV PATH=/facewitness/bin:$PATH FACEWITNESS_MODELS= FACEWITNESS_CACHE=/facewitness/models FACEWITNESS_DATA=/data \
    HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER nobody
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["facewitness"]
CMD ["serve", "--listen", "0.0.0.0", "--log-format", "json"]
