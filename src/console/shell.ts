import type { ConsoleFiles } from './files.ts'

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '"': '&quot;' }

function escapeAttribute(text: string): string {
  return text.replace(/[&<"]/g, (character) => escapes[character] ?? character)
}

/**
 * The page that every path of the console is answered with. It names the modules of the first page, so that the browser requests
 * them at once and not one level of imports after the other.
 *
 * @param base the path of the service, without a slash at the end: that of PUBLIC_URL, which a proxy may remove.
 */
export function renderShell({ modules, styles, icon }: ConsoleFiles, base: string): string {
  const assets = `${escapeAttribute(base)}/console/assets`
  const preloads = modules.map(({ name }) => `<link rel="modulepreload" href="${assets}/${name}">`)
  return `<!doctype html>
<html lang="en" data-base="${escapeAttribute(base)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>User segments</title>
<link rel="icon" type="image/svg+xml" href="${assets}/${icon.name}">
<link rel="stylesheet" href="${assets}/${styles.name}">
${preloads.join('\n')}
<script type="module" src="${assets}/${modules.at(-1)?.name}"></script>
</head>
<body><noscript>The console needs JavaScript. The API is described at ${escapeAttribute(base)}/swagger.</noscript></body>
</html>
`
}
