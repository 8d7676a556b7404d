/**
 * Puts Preceptor's widget on every page, an item into the navbar, and a button at the headings.
 *
 * Everything here speaks to the widget through its tag and `window.Preceptor`, as docs/widget.md describes them.
 */

const { Joi } = require('@docusaurus/utils-validation');

const NAVBAR_ITEM = 'custom-preceptor';

const schema = Joi.object({
  server: Joi.string()
    .uri({ scheme: ['http', 'https'] })
    .required()
    .messages({
      'any.required': '"server" is missing. Set it to the address of the service, such as https://tutor.example',
      'string.uri': '"server" is {:[.]}. Set it to the address of the service, such as https://tutor.example',
    }),
  title: Joi.string(),
  color: Joi.string().default('var(--ifm-color-primary)'),
  position: Joi.valid('left', 'right'),
  layout: Joi.valid('floating', 'docked', 'expanded', 'modal'),
  questions: Joi.array().items(Joi.string()),
  launcher: Joi.boolean().default(true),
  shortcut: Joi.string(),
  parameter: Joi.string().allow(''),
  disclaimer: Joi.string().allow(''),
  books: Joi.string(),
  keep: Joi.valid('none'),
  navbar: Joi.alternatives(
    Joi.valid(false),
    Joi.object({ position: Joi.valid('left', 'right').default('right'), label: Joi.string() }),
  ).default({ position: 'right' }),
  headings: Joi.boolean().default(true),
});

function preceptor(context, options) {
  const { defaultLocale, currentLocale, localeConfigs } = context.i18n;
  if (options.navbar) addToNavbar(context.siteConfig.themeConfig, options);

  return {
    name: 'docusaurus-plugin-preceptor',

    getThemePath: () => './theme',

    getClientModules: () => [require.resolve('./preceptor.css')],

    // Docusaurus looks words up in its own catalogue first, so a site can change them there.
    getDefaultCodeTranslationMessages: async () => wordsOf(currentLocale) ?? wordsOf(defaultLocale) ?? {},

    contentLoaded: ({ actions }) => actions.setGlobalData({ title: options.title, headings: options.headings }),

    injectHtmlTags: () => ({
      headTags: [
        {
          tagName: 'script',
          attributes: {
            async: true,
            src: new URL('widget.js', options.server.replace(/\/?$/, '/')).href,
            'data-lang': localeConfigs[currentLocale]?.htmlLang ?? currentLocale,
            ...data(options),
          },
        },
      ],
    }),
  };
}

/** The attributes of the widget's tag; one that is left out has the widget's own default. */
function data({ title, color, position, layout, questions, launcher, shortcut, parameter, disclaimer, books, keep }) {
  const values = {
    title,
    color,
    position,
    layout,
    questions: questions && JSON.stringify(questions),
    launcher: launcher ? undefined : 'none',
    shortcut,
    parameter,
    disclaimer,
    books,
    keep,
  };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [`data-${name}`, value]),
  );
}

/** An item that the author has put into the navbar by hand stays where it is. */
function addToNavbar(themeConfig, { navbar }) {
  themeConfig.navbar ??= {};
  const items = (themeConfig.navbar.items ??= []);
  if (!items.some(({ type }) => type === NAVBAR_ITEM)) items.push({ type: NAVBAR_ITEM, ...navbar });
}

function wordsOf(locale) {
  const language = locale.toLowerCase().split('-')[0];
  try {
    return require(`./words/${language}.json`);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
}

module.exports = preceptor;
module.exports.validateOptions = ({ validate, options }) => validate(schema, options);
