// Lists the fields of a schema, so that tests can hold something of every one of them.
import { z } from '../../src/api/schema.js';

export interface SchemaField {
  /** Such as `http[].match[].uri`. */
  readonly path: string;
  readonly description: string | undefined;
  /** What a refused field says in the reference; undefined where it is taken. */
  readonly refused: string | undefined;
}

export function fieldsOf(schema: z.ZodType, prefix = ''): SchemaField[] {
  let at = schema;
  while (
    at instanceof z.ZodOptional ||
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable
  )
    at = at.unwrap() as z.ZodType;
  if (at instanceof z.ZodArray) return fieldsOf(at.element as z.ZodType, `${prefix}[]`);
  if (at instanceof z.ZodRecord) return fieldsOf(at.valueType as z.ZodType, `${prefix}{}`);
  if (!(at instanceof z.ZodObject)) return [];
  return Object.entries(at.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const meta = field.meta() as { description?: string; refused?: string } | undefined;
    return [{ path, description: meta?.description, refused: meta?.refused }, ...fieldsOf(field, path)];
  });
}
