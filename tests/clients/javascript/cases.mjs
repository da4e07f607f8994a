// Runs cases and prints a line for each: `ok NAME`, or `FAIL NAME: reason` with the reason on the one line.

import { createHash, randomBytes } from "node:crypto";

/** Runs cases in order; a failure is printed and the run goes on. */
export async function run(cases) {
  for (const [name, body] of cases) {
    try {
      await body();
      console.log(`ok ${name}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAIL ${name}: ${JSON.stringify(error?.stack ?? String(error))}`);
    }
  }
  console.log("done");
}

/** What the environment must hold. */
export function variable(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** SHA-256 of some bytes. */
export const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** All bytes of a stream. */
export async function collect(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Everything that an asynchronous iterator gives. */
export async function all(iterator) {
  const found = [];
  for await (const one of iterator) found.push(one);
  return found;
}

export { randomBytes };
