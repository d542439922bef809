"""Pictures that items of jobs only point to: fetched by workers, off their lanes, within the rules of the operator."""
