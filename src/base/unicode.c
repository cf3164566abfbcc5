/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unicode.h"

#include "base/attr.h"

static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x00, 0x1F},     /* C0 controls */
	{0x7F, 0x9F},     /* DEL and the C1 controls, which terminals obey in UTF-8 too */
	{0xAD, 0xAD},     /* soft hyphen */
	{0x61C, 0x61C},   /* Arabic letter mark */
	{0x200B, 0x200F}, /* zero width, marks of direction */
	{0x2028, 0x202E}, /* separators, embeddings, overrides */
	{0x2060, 0x206F}, /* joiners, isolates */
	{0xFEFF, 0xFEFF}, /* byte order mark */
	{0xFFF9, 0xFFFB}, /* annotations */
};

uint32_t unicode_code_point(struct str character)
{
	const unsigned char *bytes = (const unsigned char *)character.p;
	uint32_t code = character.n == 1 ? bytes[0] : bytes[0] & (0xFFu >> (character.n + 1));

	for (size_t i = 1; i < character.n; i++)
		code = code << 6 | (bytes[i] & 0x3F);
	return code;
}

bool unicode_is_hidden(uint32_t code_point)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (code_point >= hidden[i].first && code_point <= hidden[i].last)
			return true;
	return false;
}
