/*-------------------------------------------------------------------------
 *
 * same.c
 *		Whether the registry has changed between two looks.
 *
 * src/registry/same.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/registry.h"

static bool same_order(List *a, List *b);

/*
 * Do both say the same of what a delete depends on?
 */
bool
mx_registry_same(const MxRegistry *a, const MxRegistry *b)
{
	if (a->nfeatures != b->nfeatures || a->ndependencies != b->ndependencies)
		return false;
	for (int i = 0; i < a->nfeatures; i++)
	{
		const MxFeature *one = &a->features[i];
		const MxFeature *two = &b->features[i];

		if (strcmp(one->key, two->key) != 0 || !mx_feature_same(one, two))
			return false;
	}
	for (int i = 0; i < a->ndependencies; i++)
	{
		const MxDependency *one = &a->dependencies[i];
		const MxDependency *two = &b->dependencies[i];

		if (one->feature != two->feature || one->upstream != two->upstream ||
			one->lineage != two->lineage || one->optional != two->optional ||
			!same_order(one->on_columns, two->on_columns) ||
			!same_order(one->rename_from, two->rename_from) ||
			!same_order(one->rename_to, two->rename_to))
			return false;
	}
	return true;
}

/*
 * Does a feature mean the same rows of the same table?
 */
bool
mx_feature_same(const MxFeature *a, const MxFeature *b)
{
	return a->relid == b->relid && mx_same_text(a->version, b->version) &&
		same_order(a->id_columns, b->id_columns);
}

static bool
same_order(List *a, List *b)
{
	ListCell   *one;
	ListCell   *two;

	if (list_length(a) != list_length(b))
		return false;
	forboth(one, a, two, b)
	{
		if (strcmp(lfirst(one), lfirst(two)) != 0)
			return false;
	}
	return true;
}
