/*-------------------------------------------------------------------------
 *
 * same.c
 *		What is kept of the registry, and whether it has changed between two
 *		looks.
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

/*
 * A copy in another context, without the project.
 */
MxFeature *
mx_feature_copy(const MxFeature *feature, MemoryContext context)
{
	MemoryContext save = MemoryContextSwitchTo(context);
	MxFeature  *copy = palloc(sizeof(MxFeature));
	ListCell   *lc;

	*copy = *feature;
	copy->key = pstrdup(feature->key);
	copy->version = feature->version ? pstrdup(feature->version) : NULL;
	copy->project = NULL;
	copy->id_columns = NIL;
	foreach(lc, feature->id_columns)
		copy->id_columns = lappend(copy->id_columns, pstrdup(lfirst(lc)));
	MemoryContextSwitchTo(save);
	return copy;
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
