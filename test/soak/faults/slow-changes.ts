import type { TestDatabase } from '../../support/service.ts'

/**
 * Makes each change of a user's segments take longer by the given number of seconds.
 *
 * @returns a function that undoes this.
 */
export async function slowChanges({ sql }: TestDatabase, seconds: number): Promise<() => Promise<void>> {
  // Every change tries to insert its user, even a known one.
  await sql.unsafe(`
    create function be_slow() returns trigger language plpgsql as $$
    begin
      perform pg_sleep(${seconds});
      return null;
    end;
    $$;
    create trigger be_slow before insert on users for each statement execute function be_slow()`)
  return async () => {
    await sql.unsafe('drop trigger be_slow on users; drop function be_slow()')
  }
}
