# Pin the base by its digest where builds must be reproducible:
# --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# Listens on all addresses, so it starts only with API_KEYS, or with AUTH=off, which lets everybody in.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 REPORTS_DIR=/var/lib/user-segments/reports
# The service needs no package manager, whose own dependencies scanners of images would report.
# A volume that is mounted on the folder takes its owner from it.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
    /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* \
  && install -d -o 1000 -g 1000 /var/lib/user-segments/reports
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY migrations migrations
COPY schemas schemas
COPY workers workers
COPY console console
COPY client/src client/src
COPY src src
# The user `node`, as numbers: Kubernetes checks `runAsNonRoot` by them.
USER 1000:1000
EXPOSE 8080
# Liveness: a service without its database must not be restarted. Balancers ask /health/ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=16", "src/server.ts"]
