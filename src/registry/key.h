/*-------------------------------------------------------------------------
 *
 * key.h
 *		Feature keys: their order, and features found by them.
 *
 * src/registry/key.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef MX_KEY_H
#define MX_KEY_H

/* a key as it lies in a text, without a zero behind it */
typedef struct MxKeyBytes
{
	const char *bytes;
	int			length;
} MxKeyBytes;

/* places of features by their keys, for the many ends of edges */
typedef struct MxPlaces MxPlaces;

extern int	mx_key_compare(const char *a, const char *b);
extern int *mx_keys_sort(int nkeys, const char *const *keys);

extern MxPlaces *mx_places_new(void);
extern void mx_places_add(MxPlaces *places, MxKeyBytes key, int place);
extern int	mx_places_find(MxPlaces *places, MxKeyBytes key);
extern void mx_places_move(MxPlaces *places, const int *moved);
extern void mx_places_free(MxPlaces *places);

#endif							/* MX_KEY_H */
