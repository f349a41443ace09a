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

/*
 * The keys lie one behind the other, each with its place, and the entries of
 * the table are small: with many features, what look-ups take is the time to
 * get both from memory.
 */
typedef struct KeyRecord
{
	int			place;
	int			length;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} KeyRecord;

typedef struct PlaceEntry
{
	uint32		record;			/* where its record is */
	uint32		hash;
	char		status;
} PlaceEntry;

struct MxPlaces
{
	struct places_hash *entries;
	char	   *records;
	uint32		used;
	uint32		room;
	MxKeyBytes	wanted;			/* the key of record WANTED */
};

#define WANTED PG_UINT32_MAX

static KeyRecord *record_at(const MxPlaces *places, uint32 at);
static uint32 hash_wanted(const MxPlaces *places);
static bool is_wanted(const MxPlaces *places, uint32 at);

#define SH_PREFIX places
#define SH_ELEMENT_TYPE PlaceEntry
#define SH_KEY_TYPE uint32
#define SH_KEY record
#define SH_HASH_KEY(tb, key) hash_wanted((tb)->private_data)
/* what is looked for comes second */
#define SH_EQUAL(tb, a, b) is_wanted((tb)->private_data, a)
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
 * A table of keys without any, in the current memory context.
 */
MxPlaces *
mx_places_new(void)
{
	MxPlaces   *places = palloc0(sizeof(MxPlaces));

	places->entries = places_create(CurrentMemoryContext, 256, places);
	places->room = 8192;
	places->records = palloc(places->room);
	return places;
}

/*
 * Adds a key, which is copied.
 */
void
mx_places_add(MxPlaces *places, MxKeyBytes key, int place)
{
	uint32		needed = INTALIGN(offsetof(KeyRecord, bytes) + key.length);
	KeyRecord  *record;
	PlaceEntry *entry;
	bool		found;

	while (places->room - places->used < needed)
	{
		places->room *= 2;
		places->records = repalloc(places->records, places->room);
	}
	record = record_at(places, places->used);
	record->place = place;
	record->length = key.length;
	memcpy(record->bytes, key.bytes, key.length);

	places->wanted = key;
	entry = places_insert(places->entries, WANTED, &found);
	entry->record = places->used;
	places->used += needed;
}

/*
 * The place of a key; -1 if it is not there.
 */
int
mx_places_find(MxPlaces *places, MxKeyBytes key)
{
	PlaceEntry *entry;

	places->wanted = key;
	entry = places_lookup(places->entries, WANTED);
	return entry == NULL ? -1 : record_at(places, entry->record)->place;
}

/*
 * Gives each key another place, that which its present one has in "moved".
 */
void
mx_places_move(MxPlaces *places, const int *moved)
{
	for (uint32 at = 0; at < places->used;)
	{
		KeyRecord  *record = record_at(places, at);

		record->place = moved[record->place];
		at += INTALIGN(offsetof(KeyRecord, bytes) + record->length);
	}
}

void
mx_places_free(MxPlaces *places)
{
	places_destroy(places->entries);
	pfree(places->records);
	pfree(places);
}

static uint32
hash_wanted(const MxPlaces *places)
{
	return hash_bytes((const unsigned char *) places->wanted.bytes,
					  places->wanted.length);
}

static bool
is_wanted(const MxPlaces *places, uint32 at)
{
	const KeyRecord *record = record_at(places, at);

	return record->length == places->wanted.length &&
		memcmp(record->bytes, places->wanted.bytes, record->length) == 0;
}

static KeyRecord *
record_at(const MxPlaces *places, uint32 at)
{
	return (KeyRecord *) (places->records + at);
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
