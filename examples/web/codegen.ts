import type { CodegenConfig } from '@graphql-codegen/cli';

// Types for the schema and for each graphql(`…`) in src, written to src/gql before every build.
const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['src/**/*.{ts,tsx}', '!src/gql/**'],
  generates: {
    'src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
        // A Secret goes in and never comes out: the types say so.
        scalars: { DateTime: 'string', Secret: { input: 'string', output: 'never' } },
      },
    },
  },
};
export default config;
