/*-------------------------------------------------------------------------
 *
 * bitmap.c
 *		Places in the heap, a bit each.
 *
 * The server's own bitmaps (tidbitmap.c) become lossy where they would take
 * too much memory: then all rows of a page are checked anew.  Which row is the
 * latest of its sample cannot be, so this one takes what it takes, all at once:
 * 8 bytes for a page with up to 64 rows.
 *
 * src/scan/bitmap.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "scan/heap.h"

#define BITS_PER_WORD	64

struct MxBitmap
{
	BlockNumber npages;
	int			width;			/* words a page */
	BlockNumber next;			/* no page before it has any */
	uint64	   *words;
};

static inline uint64 *
words_of(const MxBitmap *bitmap, BlockNumber block)
{
	return &bitmap->words[(Size) block * bitmap->width];
}

MxBitmap *
mx_bitmap_new(BlockNumber npages, int width)
{
	MxBitmap   *bitmap = palloc(sizeof(MxBitmap));

	bitmap->words = palloc_extended(mx_bitmap_size(npages, width),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	bitmap->npages = bitmap->next = npages;
	bitmap->width = width;
	return bitmap;
}

/*
 * Adds a place; returns false if the bitmap does not reach that far.
 */
bool
mx_bitmap_add(MxBitmap *bitmap, BlockNumber block, OffsetNumber offset)
{
	int			bit = offset - FirstOffsetNumber;

	if (block >= bitmap->npages || bit >= bitmap->width * BITS_PER_WORD)
		return false;
	words_of(bitmap, block)[bit / BITS_PER_WORD] |=
		UINT64CONST(1) << bit % BITS_PER_WORD;
	if (block < bitmap->next)
		bitmap->next = block;
	return true;
}

/*
 * The first page that has places; InvalidBlockNumber if none has.
 */
BlockNumber
mx_bitmap_first(MxBitmap *bitmap)
{
	BlockNumber first = mx_bitmap_from(bitmap, bitmap->next);

	bitmap->next = Min(first, bitmap->npages);
	return first;
}

/*
 * The first one at or behind some page.
 */
BlockNumber
mx_bitmap_from(const MxBitmap *bitmap, BlockNumber from)
{
	for (from = Max(from, bitmap->next); from < bitmap->npages; from++)
	{
		const uint64 *words = words_of(bitmap, from);

		for (int i = 0; i < bitmap->width; i++)
		{
			if (words[i] != 0)
				return from;
		}
	}
	return InvalidBlockNumber;
}

/*
 * Takes the places of that page out of the bitmap, and returns how many they
 * are.
 */
int
mx_bitmap_take(MxBitmap *bitmap, OffsetNumber *offsets)
{
	uint64	   *words = words_of(bitmap, bitmap->next);
	int			n = 0;

	for (int i = 0; i < bitmap->width; i++)
	{
		uint64		word = words[i];

		for (; word != 0; word &= word - 1)
			offsets[n++] = FirstOffsetNumber + i * BITS_PER_WORD +
				pg_rightmost_one_pos64(word);
		words[i] = 0;
	}
	bitmap->next++;
	return n;
}

/*
 * Takes all places out.
 */
void
mx_bitmap_clear(MxBitmap *bitmap)
{
	Size		left = bitmap->npages - bitmap->next;

	memset(words_of(bitmap, bitmap->next), 0,
		   left * bitmap->width * sizeof(uint64));
	bitmap->next = bitmap->npages;
}
