// What Docusaurus makes of a site's configuration, as JSON: node loaded_config.cjs SITE FILE
// The site's own Docusaurus (2 or 3) loads it and starts its plug-ins, as a build does before it reads a page.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const [site, file] = process.argv.slice(2);
process.env.NODE_ENV = process.env.BABEL_ENV = 'production'; // as `docusaurus build` does: a site may ask for it
const NOT_INSTALLED = 3;
const OWN_PARSERS = { DefaultNumberPrefixParser: true, DisabledNumberPrefixParser: false };

function core() {
  const near = createRequire(path.join(site, 'package.json'));
  try {
    return path.join(path.dirname(near.resolve('@docusaurus/core/package.json')), 'lib/server');
  } catch {
    return process.exit(NOT_INSTALLED);
  }
}

// Functions have no JSON. Of those that matter, the name tells enough.
function docsOptions(options) {
  const { id, path, routeBasePath, include, exclude, lastVersion, versions } = options;
  const parser = options.numberPrefixParser;
  const numberPrefixParser = typeof parser === 'function' ? OWN_PARSERS[parser.name] ?? parser.toString() : parser;
  const remarkPlugins = (options.remarkPlugins ?? []).flat().map((plugin) => plugin?.name ?? '');
  return { id, path, routeBasePath, include, exclude, lastVersion, versions, numberPrefixParser, remarkPlugins };
}

async function main() {
  const server = core();
  const place = ['site.js', 'index.js'].find((name) => fs.existsSync(path.join(server, name))); // the latter before 3.4
  const { loadContext } = require(path.join(server, place));
  const { initPlugins } = require(path.join(server, 'plugins/init.js'));
  const context = await loadContext({ siteDir: site });
  const plugins = await initPlugins(context);
  const { url, baseUrl, title, trailingSlash, markdown, i18n } = context.siteConfig;
  const docs = plugins.filter((plugin) => plugin.name === 'docusaurus-plugin-content-docs');
  const read = { url, baseUrl, title, trailingSlash, markdown: { format: markdown?.format, anchors: markdown?.anchors } };
  read.i18n = { defaultLocale: i18n?.defaultLocale };
  read.docs = docs.map((plugin) => docsOptions(plugin.options));
  read.file = path.relative(site, context.siteConfigPath);
  fs.writeFileSync(file, JSON.stringify(read));
}

main().then(
  () => process.exit(0), // plug-ins may keep the process alive
  (error) => {
    for (let cause = error; cause; cause = cause.cause) console.error(cause.message ?? cause);
    process.exit(1);
  },
);
