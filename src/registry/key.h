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
struct places_hash;

extern int	mx_key_compare(const char *a, const char *b);
extern int *mx_keys_sort(int nkeys, const char *const *keys);

extern struct places_hash *mx_places_new(int nkeys, const char *const *keys);
extern int	mx_places_find(struct places_hash *places, MxKeyBytes key);
extern void mx_places_free(struct places_hash *places);

#endif							/* MX_KEY_H */
