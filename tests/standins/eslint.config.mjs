// Only Chromium runs in the tests: this looks for interfaces that other browsers lack.
import compat from 'eslint-plugin-compat';

export default [
  {
    ...compat.configs['flat/recommended'],
    files: ['**/*.js'],
    ignores: ['**/vendor/**'],
    settings: {
      browsers: ['chrome >= 123', 'edge >= 123', 'firefox >= 128', 'safari >= 17.5', 'ios_saf >= 17.5'],
      lintAllEsApis: true,
    },
  },
];
