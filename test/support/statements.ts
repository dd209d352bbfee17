import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A statement of the service's source, or a part of one that is inserted into others. */
export type Statement = { file: string; text: string }

const listFiles = async (folder: string, end: string) =>
  (await readdir(join(root, folder), { recursive: true }))
    .filter((file) => file.endsWith(end))
    .sort()
    .map((file) => `${folder}/${file}`)

/** Removes comments, and makes white space one space. */
const squeeze = (text: string) => text.replace(/--.*$/gm, '').replace(/\s+/g, ' ').trim()

/**
 * Reads every statement in the source of the service and of its worker threads, and in the migrations. Parts that are
 * inserted into a statement are in its text, wherever they are defined. Other values are `$`.
 */
export async function readStatements(): Promise<Statement[]> {
  const paths = [...(await listFiles('src', '.ts')), ...(await listFiles('workers', '.ts'))]
  const sources = await Promise.all(
    paths.map(async (file) => ({
      file,
      source: ts.createSourceFile(
        file,
        await readFile(join(root, file), 'utf8'),
        ts.ScriptTarget.Latest,
        true
      )
    }))
  )
  const parts = new Map<string, ts.Node>()
  for (const { source } of sources) visit(source, (node) => collectPart(node, parts))
  const inTypeScript = sources.flatMap(({ file, source }) =>
    listTemplates(source).map((template) => ({ file, text: squeeze(render(template, parts, [])) }))
  )
  const inSql = await Promise.all(
    (await listFiles('migrations', '.sql')).map(async (file) => {
      const text = (await readFile(join(root, file), 'utf8')).replace(/--.*$/gm, '')
      return text.split(';').map((statement) => ({ file, text: squeeze(statement) }))
    })
  )
  return [...inTypeScript, ...inSql.flat()].filter(({ text }) => text !== '')
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node)
  ts.forEachChild(node, (child) => visit(child, look))
}

/**
 * Records functions and constants by their names: their templates are parts of the statements that name them. A constant
 * that is awaited is the result of a statement.
 */
function collectPart(node: ts.Node, parts: Map<string, ts.Node>): void {
  if (ts.isFunctionDeclaration(node) && node.name && node.body) parts.set(node.name.text, node.body)
  if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return
  if (node.initializer && !ts.isAwaitExpression(node.initializer)) parts.set(node.name.text, node.initializer)
}

/** The templates with the tag of a pool or a transaction. Those inside of others are parts of them. */
function listTemplates(node: ts.Node): ts.TaggedTemplateExpression[] {
  const templates: ts.TaggedTemplateExpression[] = []
  const look = (node: ts.Node): void => {
    if (ts.isTaggedTemplateExpression(node) && isSql(node.tag)) templates.push(node)
    else ts.forEachChild(node, look)
  }
  look(node)
  return templates
}

function isSql(tag: ts.LeftHandSideExpression): boolean {
  return ts.isIdentifier(tag) && /^(?:sql|pool)$/.test(tag.text)
}

/** The text of a template. A part that has alternatives is replaced by all of them, one after the other. */
function render(
  { template }: ts.TaggedTemplateExpression,
  parts: Map<string, ts.Node>,
  path: string[]
): string {
  if (ts.isNoSubstitutionTemplateLiteral(template)) return template.text
  return template.templateSpans.reduce(
    (text, { expression, literal }) => text + renderValue(expression, parts, path) + literal.text,
    template.head.text
  )
}

function renderValue(value: ts.Expression, parts: Map<string, ts.Node>, path: string[]): string {
  const inside = listTemplates(value)
  if (inside.length > 0) return inside.map((template) => render(template, parts, path)).join(' ')
  const name = ts.isCallExpression(value) ? value.expression.getText() : value.getText()
  const part = parts.get(name)
  if (!part || path.includes(name)) return '$'
  const templates = listTemplates(part)
  return templates.length > 0
    ? templates.map((template) => render(template, parts, [...path, name])).join(' ')
    : '$'
}
