/*-------------------------------------------------------------------------
 *
 * key.c
 *		Feature keys: their order, and features found by them.
 *
 * src/registry/key.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "registry/key.h"

/* a key's first bytes beyond those that all have, compared without the key */
typedef struct SortKey
{
	uint64		start;
	int			number;
} SortKey;

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE SortKey
#define ST_COMPARE(a, b, keys) \
	((a)->start < (b)->start ? -1 : (a)->start > (b)->start ? 1 : \
	 mx_key_compare((keys)[(a)->number], (keys)[(b)->number]))
#define ST_COMPARE_ARG_TYPE const char *const
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct PlaceEntry
{
	MxKeyBytes	key;
	int			place;
	uint32		hash;
	char		status;
} PlaceEntry;

static uint32 hash_key(MxKeyBytes key);
static bool same_key(MxKeyBytes a, MxKeyBytes b);

#define SH_PREFIX places
#define SH_ELEMENT_TYPE PlaceEntry
#define SH_KEY_TYPE MxKeyBytes
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_key(key)
#define SH_EQUAL(tb, a, b) same_key(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static int	common_length(int nkeys, const char *const *keys);
static uint64 start_of(const char *key);

/*
 * Compares two feature keys part by part, each part bytewise; of two keys
 * that are equal as far as the shorter one goes, the shorter comes first.
 *
 * This is a bytewise comparison in which the end of the key sorts below the
 * separator and the separator below every other byte: "a/b" comes before
 * "a-b", since part "a" is a prefix of part "a-b".
 */
int
mx_key_compare(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
	{
		a++;
		b++;
	}

	if (*a == *b)
		return 0;
	if (*a == '\0' || *b == '\0')
		return *a == '\0' ? -1 : 1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (int) (unsigned char) *a - (int) (unsigned char) *b;
}

/*
 * Numbers of keys in the order of mx_key_compare.
 */
int *
mx_keys_sort(int nkeys, const char *const *keys)
{
	int			skip = common_length(nkeys, keys);
	SortKey    *sorted = palloc(sizeof(SortKey) * Max(nkeys, 1));
	int		   *order = palloc(sizeof(int) * Max(nkeys, 1));

	for (int i = 0; i < nkeys; i++)
	{
		sorted[i].start = start_of(keys[i] + skip);
		sorted[i].number = i;
	}
	sort_keys(sorted, nkeys, keys);
	for (int i = 0; i < nkeys; i++)
		order[i] = sorted[i].number;
	pfree(sorted);
	return order;
}

/*
 * A table of keys, each with its place among them.  The keys must stay.
 */
struct places_hash *
mx_places_new(int nkeys, const char *const *keys)
{
	places_hash *places = places_create(CurrentMemoryContext, nkeys, NULL);

	for (int i = 0; i < nkeys; i++)
	{
		MxKeyBytes	key = {keys[i], (int) strlen(keys[i])};
		bool		found;

		places_insert(places, key, &found)->place = i;
	}
	return places;
}

/*
 * The place of a key; -1 if it is not there.
 */
int
mx_places_find(struct places_hash *places, MxKeyBytes key)
{
	PlaceEntry *entry = places_lookup(places, key);

	return entry == NULL ? -1 : entry->place;
}

void
mx_places_free(struct places_hash *places)
{
	places_destroy(places);
}

static uint32
hash_key(MxKeyBytes key)
{
	return hash_bytes((const unsigned char *) key.bytes, key.length);
}

static bool
same_key(MxKeyBytes a, MxKeyBytes b)
{
	return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/*
 * How many bytes all keys begin with alike.
 */
static int
common_length(int nkeys, const char *const *keys)
{
	int			length = nkeys > 0 ? (int) strlen(keys[0]) : 0;

	for (int i = 1; i < nkeys; i++)
	{
		int			same = 0;

		while (same < length && keys[i][same] == keys[0][same])
			same++;
		length = same;
	}
	return length;
}

/*
 * The first bytes of a key, or its end, as a number that is not greater than
 * that of a greater key: the separator comes before all other bytes.
 */
static uint64
start_of(const char *key)
{
	uint64		start = 0;

	for (int i = 0; i < sizeof(start); i++)
	{
		unsigned char byte = (unsigned char) *key;

		if (byte == '/')
			byte = 1;
		else if (byte != '\0' && byte < '/')
			byte++;
		start = start << BITS_PER_BYTE | byte;
		if (*key != '\0')
			key++;
	}
	return start;
}
