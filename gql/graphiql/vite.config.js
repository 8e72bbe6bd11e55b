import { defineConfig } from 'vite';

export default defineConfig({
  base: '/graphiql/',
  worker: { format: 'es' }, // the policy allows workers from a file, not from a blob
  build: {
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4000, // the editor is one chunk of 2.8 MB
    license: { fileName: 'LICENSES.md' }, // what dist/ is made of, for those who pass it on
    modulePreload: { polyfill: false },
    rolldownOptions: {
      checks: { moduleLevelDirective: false }, // "use client" means nothing here
    },
  },
});
