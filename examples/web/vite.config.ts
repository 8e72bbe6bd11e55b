import { defineConfig } from 'vite';

// In development and in `vite preview` the API is behind the same origin, web sockets too. Where the page has an origin of
// its own, trunkline has to know it: TRUNKLINE_ALLOWED_ORIGINS.
const proxy = { '/graphql': { target: process.env.TRUNKLINE_URL ?? 'http://127.0.0.1:8000', ws: true } };

export default defineConfig({ server: { proxy }, preview: { proxy } });
