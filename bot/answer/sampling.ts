/** How answers are drawn. Data only. */

/** The settings of Zephyr's model card. */
export const SAMPLING = { temperature: 0.7, topP: 0.95, topK: 50 } as const;
