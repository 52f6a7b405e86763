/** Generated pages are current. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pages } from '../../../scripts/docs/pages';
import { repositoryRoot } from '../../support/data';

for (const [file, text] of Object.entries(pages)) {
  test(`${file} is what the registries say (npm run docs)`, () => {
    assert.equal(readFileSync(path.join(repositoryRoot, file), 'utf8'), text());
  });
}
