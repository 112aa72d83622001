# The worker, the `sluice` command and the simulated stream, in one image. It holds Debian slim with Node and npm (npm is not
# used), the compiled product with its bundled workflows, and the production dependencies: mostly the Temporal SDK's
# Rust core for this platform, and webpack, which the SDK loads though nothing is bundled here.
# No `# syntax=` line and none of its features: any builder will do.
ARG NODE_IMAGE=node:22.23.3-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/clean.mjs scripts/
COPY src src
COPY local local
RUN npm run build
# Debian slim has no root certificates. Node brings its own, but the SDK's Rust core knows the system's alone: without them no
# worker reaches a Temporal with a public certificate.
RUN node -p "require('node:tls').rootCertificates.join('\n')" > /root-certificates.pem

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
# The Rust core comes compiled for five platforms and with its source. SWC is for bundling alone.
RUN target="$(node -p "require('@temporalio/core-bridge/common').getPrebuiltTargetName()")" \
  && cd node_modules/@temporalio/core-bridge \
  && find releases -mindepth 1 -maxdepth 1 ! -name "$target" -exec rm -r {} + \
  && rm -r sdk-core src bridge-macros ../../@swc

FROM ${NODE_IMAGE}
ENV NODE_ENV=production SLUICE_HEALTH_ADDRESS=127.0.0.1:9465
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /root-certificates.pem /etc/ssl/certs/ca-certificates.crt
COPY bin bin
COPY package.json LICENSE ./
RUN ln -s /app/bin/sluice.js /usr/local/bin/sluice
USER node
# Temporal may be away for half a minute before it counts.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 CMD ["sluice", "health"]
# Node itself is process 1, as its script is executed and not run by a shell: SIGTERM comes to it.
CMD ["sluice", "worker"]
