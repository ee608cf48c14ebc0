// Measures how deep a YAML text nests, without recursion. The parser recurses, and some thousand brackets would not only fail
// but end the process, so this is looked at first.
import { CST, Lexer } from 'yaml';

/** Stands before a lexeme that is content, whatever it looks like. */
const contentFollows = '\u001f';

/**
 * First line, from 1, on which `text` nests deeper than `most`; undefined where none does.
 *
 * Counts open brackets and columns at which block collections begin. A list in the column of its parent's keys, or a pair
 * directly in a flow list, is not counted of its own: the true depth is at most twice the measured one.
 */
export function findTooDeep(text: string, most: number): number | undefined {
  const blocks = new OpenBlocks();
  let [brackets, line, column, isContent] = [0, 1, 0, false];
  for (const lexeme of new Lexer().lex(text)) {
    const type = isContent ? 'content' : CST.tokenType(lexeme);
    isContent = lexeme === contentFollows && !isContent;
    if (isContent || type === 'doc-mode') continue;
    if (type === 'flow-error-end' || type === 'doc-start' || type === 'doc-end') {
      brackets = 0;
      blocks.clear();
    } else if (type === 'flow-map-start' || type === 'flow-seq-start') brackets++;
    else if (type === 'flow-map-end' || type === 'flow-seq-end') brackets = Math.max(0, brackets - 1);
    else if (brackets === 0) blocks.take(type, column);
    if (brackets + blocks.count > most) return line;
    const lastBreak = lexeme.lastIndexOf('\n');
    if (lastBreak >= 0) line += lexeme.split('\n').length - 1;
    column = lastBreak < 0 ? column + lexeme.length : lexeme.length - lastBreak - 1;
    if (column === 0) blocks.endLine();
  }
  return undefined;
}

/** Block collections that are open, by the column at which their items begin. */
class OpenBlocks {
  readonly #columns: number[] = [];
  /** Where something began that turns out to be a key when a colon follows. */
  #key: number | undefined;

  get count(): number {
    return this.#columns.length;
  }

  take(type: ReturnType<typeof CST.tokenType> | 'content', column: number): void {
    if (type === 'space' || type === 'newline' || type === 'comment') return;
    if (type === 'map-value-ind') this.#open(this.#key ?? column);
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind') {
      this.#open(column);
      this.#key = undefined;
    } else this.#key ??= column;
  }

  endLine(): void {
    this.#key = undefined;
  }

  clear(): void {
    this.#columns.length = 0;
    this.#key = undefined;
  }

  #open(column: number): void {
    while (this.#columns.length > 0 && this.#columns.at(-1)! > column) this.#columns.pop();
    if (this.#columns.at(-1) !== column) this.#columns.push(column);
  }
}
