# The same set-up as on a machine: pinned wheels and front-end assets by the Makefile's rules.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/breakwater
COPY . .
RUN make .venv/product assets && rm -rf node_modules
RUN useradd --system --home-dir /srv/data --create-home breakwater \
    && install -d -o breakwater /srv/files
USER breakwater
ENV PATH=/srv/breakwater/.venv/bin:$PATH BREAKWATER_HOME=/srv/data
EXPOSE 8000
CMD ["breakwater", "up"]
