FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
# On all addresses, so it starts with API_KEYS alone; or with AUTH=off, which lets everybody in.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 REPORTS_DIR=/var/lib/user-segments/reports
# A volume that is mounted here takes its owner from the folder.
RUN install -d -o node -g node /var/lib/user-segments/reports
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY migrations migrations
COPY schemas schemas
COPY workers workers
COPY src src
USER node
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=16", "src/server.ts"]
