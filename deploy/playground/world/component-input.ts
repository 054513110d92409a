/** What a message's components may be: https://discord.com/developers/docs/components/reference */
import { z } from "zod";

const customId = z.string().min(1).max(100);
const componentId = z.int().optional();
const emoji = z.object({
  id: z.string().nullish(),
  name: z.string().nullish(),
  animated: z.boolean().optional(),
});

const button = z
  .object({
    type: z.literal(2),
    id: componentId,
    style: z.int().min(1).max(6),
    label: z.string().max(80).optional(),
    emoji: emoji.optional(),
    custom_id: customId.optional(),
    url: z.string().max(512).optional(),
    sku_id: z.string().optional(),
    disabled: z.boolean().optional(),
  })
  .superRefine((value, context) => {
    const isLink = value.style === 5;
    const path = isLink ? "url" : "custom_id";
    if (value.style < 5 || isLink) {
      if (value[path] === undefined) {
        const params = { code: "BASE_TYPE_REQUIRED" };
        context.addIssue({
          code: "custom",
          path: [path],
          message: "This field is required",
          params,
        });
      }
    }
  });

const select = z.object({
  type: z.union([z.literal(3), z.literal(5), z.literal(6), z.literal(7), z.literal(8)]),
  id: componentId,
  custom_id: customId,
  placeholder: z.string().max(150).optional(),
  min_values: z.int().min(0).max(25).optional(),
  max_values: z.int().min(1).max(25).optional(),
  disabled: z.boolean().optional(),
  required: z.boolean().optional(),
  default_values: z.array(z.object({ id: z.string(), type: z.string() })).optional(),
  channel_types: z.array(z.int()).optional(),
  options: z
    .array(
      z.object({
        label: z.string().min(1).max(100),
        value: z.string().min(1).max(100),
        description: z.string().max(100).nullish(),
        emoji: emoji.nullish(),
        default: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(25)
    .optional(),
});

const textInput = z.object({
  type: z.literal(4),
  id: componentId,
  custom_id: customId,
  style: z.int().min(1).max(2),
  label: z.string().max(45).nullish(),
  min_length: z.int().min(0).max(4000).optional(),
  max_length: z.int().min(1).max(4000).optional(),
  required: z.boolean().optional(),
  value: z.string().max(4000).optional(),
  placeholder: z.string().max(100).optional(),
});

const row = z.object({
  type: z.literal(1),
  id: componentId,
  components: z.union([z.array(button).min(1).max(5), z.array(select).length(1)]),
});
const text = z.object({
  type: z.literal(10),
  id: componentId,
  content: z.string().min(1).max(4000),
});
const media = z.object({ url: z.string().max(2048) });
const thumbnail = z.object({
  type: z.literal(11),
  id: componentId,
  media,
  description: z.string().nullish(),
});
const section = z.object({
  type: z.literal(9),
  id: componentId,
  components: z.array(text).min(1).max(3),
  accessory: z.union([button, thumbnail]),
});
const separator = z.object({
  type: z.literal(14),
  id: componentId,
  divider: z.boolean().optional(),
  spacing: z.int().min(1).max(2).optional(),
});
const container = z.object({
  type: z.literal(17),
  id: componentId,
  accent_color: z.int().nullish(),
  spoiler: z.boolean().optional(),
  components: z
    .array(z.union([row, text, section, separator]))
    .min(1)
    .max(40),
});

/** Components of a message without the Components-V2 flag: at most five rows. */
export const classicComponents = z.array(row).max(5);

/** Components of a message with that flag. */
export const layoutComponents = z
  .array(z.union([row, text, section, separator, container]))
  .max(40);

/** A modal: https://discord.com/developers/docs/interactions/receiving-and-responding */
export const modalInput = z.object({
  custom_id: customId,
  title: z.string().min(1).max(45),
  components: z
    .array(
      z.union([
        z.object({ type: z.literal(1), id: componentId, components: z.array(textInput).length(1) }),
        z.object({
          type: z.literal(18),
          id: componentId,
          label: z.string().min(1).max(45),
          description: z.string().max(100).nullish(),
          component: z.union([textInput, select]),
        }),
        text,
      ]),
    )
    .min(1)
    .max(5),
});
