/** A site of two pages in two languages; docs/sites.md says what the plug-in does on it. */
module.exports = {
  title: 'Physical AI',
  url: 'https://book.example',
  baseUrl: '/book/',
  onBrokenLinks: 'throw',
  // Rspack and SWC take a fifth of the CPU that webpack and Babel do.
  future: { v4: true, faster: true },
  i18n: {
    defaultLocale: 'en',
    locales: ['en', 'ur'],
    localeConfigs: { ur: { direction: 'rtl' } },
  },
  plugins: [['docusaurus-plugin-preceptor', { server: 'https://tutor.example' }]],
  presets: [['classic', { blog: false, docs: { routeBasePath: '/' } }]],
  themeConfig: { navbar: { title: 'Physical AI' } },
};
