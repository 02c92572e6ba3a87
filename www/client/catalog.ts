/** The site's `models.json`: which models and voices it offers, with sizes and hashes. */
import type { AdapterSource, ModelSource, SiteFile } from '../worker/protocol';
import { LecternError } from './errors';

/** URLs are absolute once read. */
export interface CatalogModel extends SiteFile {
  role: 'decoder' | 'embedder';
  name: string;
  file: string;
  licence: string;
}

export interface CatalogAdapter extends AdapterSource {
  title: string;
  description: string;
}

export interface Catalog {
  models: CatalogModel[];
  adapters: CatalogAdapter[];
}

/**
 * Reads the list; its URLs are relative to itself.
 *
 * # Errors
 * `download-failed`; `models-invalid` when the list lacks a language model or a reading model.
 */
export async function readCatalog(url: URL): Promise<Catalog> {
  let catalog: Catalog;
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    catalog = (await response.json()) as Catalog;
  } catch (cause) {
    throw new LecternError('download-failed', `The list of models at ${url.pathname} could not be read. Check the connection and reload.`, { cause });
  }
  const absolute = (relative: string) => new URL(relative, url).href;
  const models = catalog.models.map((model) => ({ ...model, url: absolute(model.url) }));
  for (const role of ['decoder', 'embedder']) {
    if (!models.some((model) => model.role === role)) throw new LecternError('models-invalid', `The list of models at ${url.pathname} names no ${role}.`);
  }
  const adapters = catalog.adapters.map((adapter) => ({
    ...adapter,
    config_url: absolute(adapter.config_url),
    weights_url: absolute(adapter.weights_url),
  }));
  return { models, adapters };
}

export function modelSource(model: CatalogModel): ModelSource {
  const { name, url, n_bytes, sha256, piece_bytes, piece_sha256 } = model;
  return { kind: 'site', name, url, n_bytes, sha256: sha256.toLowerCase(), piece_bytes, piece_sha256 };
}
