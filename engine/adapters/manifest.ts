/**
 * What an adapter says of itself: `manifest.json` beside its weights.
 * It states where the weights came from and how the gate judged them, never how to load them.
 */
import { z } from "zod";

/** Adapter names are folder names: lower case, digits and hyphens, so that no path can hide in one. */
export const ADAPTER_NAME = /^[a-z0-9-]{1,64}$/;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hex digits");

/**
 * The manifest's schema. Times are ISO 8601 in UTC or milliseconds since the epoch, as the name says;
 * unknown fields are kept, so that a newer trainer's report survives an older engine.
 */
export const adapterManifestSchema = z.looseObject({
  name: z.string().regex(ADAPTER_NAME),
  /** Hash of the base model's file, which the adapter fits and no other. */
  baseSha256: sha256,
  /** Hash of `adapter.gguf`. */
  sha256,
  createdAt: z.iso.datetime(),
  /** The adapter that served when this one was trained; null for the bare weights. */
  parent: z.string().nullable(),
  data: z.looseObject({
    pairs: z.number().int().min(0),
    manifestSha256: sha256,
    fromMs: z.number(),
    toMs: z.number(),
  }),
  hyperparameters: z.record(z.string(), z.unknown()),
  gate: z.looseObject({ passed: z.boolean(), report: z.unknown() }),
});

/** A parsed manifest. */
export type AdapterManifest = z.infer<typeof adapterManifestSchema>;
